package AI::MXNet::IO::Files;
use 5.014;
use strict;
use warnings;
use AI::MXNet::IO::MNIST;
use AI::MXNet::IO::Text;
use AI::MXNet::IO::ImageRecord;
use AI::MXNet::IO::ImageDetRecord;

# The iterators over files, by name; each is an AI::MXNet::MXDataIter.

our %class = (
    MNISTIter => 'AI::MXNet::IO::MNIST',
    CSVIter => 'AI::MXNet::IO::CSV',
    LibSVMIter => 'AI::MXNet::IO::LibSVM',
    ImageDetRecordIter => 'AI::MXNet::IO::ImageDetRecord',
    map { ($_ => 'AI::MXNet::IO::ImageRecord') } qw(ImageRecordIter ImageRecordUInt8Iter ImageRecordInt8Iter),
);

# -- options, in the forms in which MXNet takes them

sub list
{
    my $value = shift;
    return @$value if ref $value eq 'ARRAY';
    return $value =~ /(-?\d+)/g;
}

sub truth
{
    my $value = shift // 0;
    return $value =~ /^(?:0|false|)$/i ? 0 : 1;
}

sub slurp
{
    my ($who, $file) = @_;
    AI::MXNet::Keshi::fail("$who: no file is given") if not defined $file;
    open my $in, '<:raw', $file or AI::MXNet::Keshi::fail("$who: cannot read $file: $!");
    my $bytes = do { local $/ = undef; <$in> };
    close $in;
    return $bytes if $bytes !~ /^\x1f\x8b/;
    require IO::Uncompress::Gunzip;
    IO::Uncompress::Gunzip::gunzip(\$bytes => \my $plain, MultiStream => 1)
        or AI::MXNet::Keshi::fail("$who: cannot decompress $file: $IO::Uncompress::Gunzip::GunzipError");
    return $plain;
}

# The bytes of a text as an array.
sub bytes_array
{
    my $bytes = shift;
    return AI::MXNet::NDArray->from_bytes($bytes, [length $bytes], dtype => 'uint8');
}

# The same order for the same seed, whatever else a script draws: Fisher and Yates's, with xorshift numbers.
sub order
{
    my ($count, $seed) = @_;
    my @order = 0 .. $count - 1;
    my $x = ($seed * 2654435761 + 88172645) & 0xffffffff || 1;
    for my $i (reverse 1 .. $#order) {
        $x ^= $x << 13 & 0xffffffff;
        $x ^= $x >> 17;
        $x ^= $x << 5 & 0xffffffff;
        my $j = $x % ($i + 1);
        @order[$i, $j] = @order[$j, $i];
    }
    return \@order;
}

# First and last row of one of several equal parts.
sub part
{
    my ($count, $parts, $index) = @_;
    AI::MXNet::Keshi::fail("part_index got $index, want one of 0 to " . ($parts - 1)) if $index < 0 or $index >= $parts;
    return (int($count * $index / $parts), int($count * ($index + 1) / $parts) - 1);
}

1;

__END__

=head1 NAME

AI::MXNet::IO::Files - iterators over files

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use File::Temp qw(tempdir);
    my $file = tempdir(CLEANUP => 1) . '/numbers.csv';
    open my $out, '>', $file or die $!;
    print {$out} "$_,@{[ $_ / 2 ]}\n" for 1 .. 5;
    close $out;

    my $iter = mx->io->CSVIter({ data_csv => $file, data_shape => [2], batch_size => 2 });
    while (defined(my $batch = <$iter>)) {
        print $batch->data->[0]->aspdl, $batch->pad, "\n";
    }

=head1 DESCRIPTION

Each takes one hash. Common to all: C<batch_size> (128), C<data_name>, C<label_name>, and but for C<MNISTIter> C<round_batch>: 1 fills
the last batch from the beginning, and the next pass begins behind that; with 0 the last batch ends in zeros. C<pad> of a batch says
how many rows were filled. Files may be compressed with gzip. C<getindex> is a PDL of the numbers of the rows, C<debug_skip_load> makes
the iterator give its next batch over and over.

=over 4

=item MNISTIter({ image => $file, label => $file, shuffle => 1, flat => 0, seed => 0, num_parts => 1, part_index => 0 })

Pictures of 28x28 as numbers from 0 to 1, or rows of 784 with C<flat>; rows that do not fill a batch are left out.

=item CSVIter({ data_csv => $file, data_shape => \@shape, label_csv => $file, label_shape => [1], dtype => 'float32' })

Without C<label_csv> labels are 0.

=item LibSVMIter({ data_libsvm => $file, data_shape => [$columns], label_libsvm => $file, label_shape => \@shape })

Matrices in compressed rows (csr). A file of labels gives labels of the same kind, and the first number of its lines is passed over;
without one, that of the data is the label.

=item ImageRecordIter({ path_imgrec => $file, data_shape => [3, $height, $width], ... })

Pictures of a file of records, as C<(pixel - mean) / std * scale> with C<mean_r>, C<mean_g>, C<mean_b>, C<std_r> ..., C<scale>; or less the
mean picture of the file C<mean_img>, which is made if it is missing. The centre, or with C<rand_crop> any part; mirrored with C<mirror>,
or half of them with C<rand_mirror>; first C<resize>d to that shorter side, and given a border of C<pad> pixels of C<fill_value> (255).
Before they are cut pictures are turned around their middle by at most C<max_rotate_angle> degrees, or by C<rotate>, and sheared by at most
C<max_shear_ratio>. C<min_random_scale> to C<max_random_scale> enlarge pictures before they are cut; C<min_crop_size> to C<max_crop_size> cut squares, and
C<random_resized_crop> parts of C<min_random_area> to C<max_random_area> of the picture, whose ratio of width to height is
C<min_aspect_ratio> to C<max_aspect_ratio>, by default 1 less and more C<max_aspect_ratio>; all are squeezed into C<data_shape>. Colours change at random by at most C<brightness>, C<contrast> and C<saturation> (parts of what is there), C<random_h>, C<random_s> and
C<random_l> (of hue, in half degrees, saturation and lightness, of 255), C<pca_noise> (the deviation along the principal axes of
colours), C<max_random_contrast> and C<max_random_illumination> (a part and an amount, after the mean). C<shuffle> gives each pass an order of its own, which C<seed>
decides. C<label_width> labels, from the records or by number from C<path_imglist>. C<num_parts> and C<part_index> choose a part.
C<inter_method> is the interpolation: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos, 9 areas or cubic, 10 any.
C<path_imgidx> saves going through the file. C<ImageRecordUInt8Iter> gives the pixels, C<ImageRecordInt8Iter> the pixels less the mean.
The pictures of a batch are decoded side by side, on all threads, and while a batch is used the next one is decoded, unless
C<prefetch_buffer> is 0.

=item ImageDetRecordIter({ path_imgrec => $file, data_shape => [3, $height, $width], rand_mirror_prob => 0, label_pad_width => 0, ... })

Pictures with boxes, squeezed into that shape. A record's labels are the width of its header (2 or more), the width of an object (5 or
more), the rest of the header, and objects: class, left, top, right, bottom, as parts of the picture. A row of labels is channels,
height, width, the number of labels, the labels, and C<label_pad_value> (-1) up to the longest, or to C<label_pad_width>.

C<< resize_mode => 'shrink' >> and C<'fit'> keep the ratio of a picture's sides: it lies at the top left, black beside it, and height and
width in its row of labels are its own. C<fit> makes it as large as it can be, C<shrink> never larger than it is; C<force> squeezes.

Hue, saturation, lightness and contrast change by at most C<max_random_hue>, C<max_random_saturation>, C<max_random_illumination> and
C<max_random_contrast>, with the chances C<random_hue_prob> and so on. Each picture is mirrored with the chance C<rand_mirror_prob>. With C<rand_pad_prob> it gets a border of C<fill_value> (127), up to
C<max_pad_scale> times as wide and high. With C<rand_crop_prob> a window is cut out of it: each of C<num_crop_sampler> samplers draws up
to C<max_crop_trials> (25) windows, whose area is a square of C<min_crop_scales> to C<max_crop_scales> (0 to 1), and whose width is
C<min_crop_aspect_ratios> to C<max_crop_aspect_ratios> (1 to 1) times the height, and keeps the first that suits an object: as parts
of both together C<min_crop_overlaps> to C<max_crop_overlaps>, of the window C<min_crop_sample_coverages> to
C<max_crop_sample_coverages>, of the object C<min_crop_object_coverages> to C<max_crop_object_coverages>. Of the windows found one is
taken at random; where there is none the picture stays whole. Boxes are cut with their picture. Left out are objects whose middle is
gone, or with C<< crop_emit_mode => 'overlap' >> those of which less than C<emit_overlap_thresh> (0.3) is left. Lists have one number
for each sampler, or one for all.

=back

=cut
