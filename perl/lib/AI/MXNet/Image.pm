package AI::MXNet::Image;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NS;
use AI::MXNet::Image::Augment;
use AI::MXNet::ImageIter;
use Scalar::Util qw(blessed);
use AI::MXNet::NS::Operators '_image_';

# -- pictures: height, width, channel

# The bytes of a file as an operator takes them.
sub file_array
{
    my $bytes = shift;
    return AI::MXNet::NDArray->array($bytes, dtype => 'uint8') if blessed $bytes and $bytes->isa('PDL');
    AI::MXNet::Keshi::fail('imdecode: got ' . ($bytes // 'undef') . ', want the bytes of a file')
        if ref $bytes or not length $bytes;
    return AI::MXNet::NDArray->from_bytes($bytes, [length $bytes], dtype => 'uint8');
}

sub _options
{
    my ($who, %given) = @_;
    my %options = (flag => 1, to_rgb => 1, out => undef, %given);
    for my $name (keys %options) {
        AI::MXNet::Keshi::fail("$who: no such named argument '$name', want flag, to_rgb or out")
            if $name !~ /^(?:flag|to_rgb|out)$/;
    }
    $options{to_rgb} = $options{to_rgb} ? 1 : 0;
    delete $options{out} if not defined $options{out};
    return \%options;
}

sub imdecode
{
    my ($class, $bytes, @options) = @_;
    return AI::MXNet::NDArray->_cvimdecode(file_array($bytes), _options(imdecode => @options));
}

sub imread
{
    my ($class, $file, @options) = @_;
    return AI::MXNet::NDArray->_cvimread({ filename => $file, %{ _options(imread => @options) } });
}

# Bytes of a file: quality 1 to 100 for .jpg, 0 to 9 for .png.
sub imencode
{
    my ($class, $picture, %given) = @_;
    my %option = (img_fmt => '.png', quality => undef, %given);
    my ($kind) = lc($option{img_fmt}) =~ /^\.?(jpe?g|png)$/
        or AI::MXNet::Keshi::fail("imencode: img_fmt got $option{img_fmt}, want .jpg or .png");
    my ($format, $quality) = $kind eq 'png' ? (png => 3) : (jpeg => 95);
    my $file =
        AI::MXNet::NDArray->_picture_encode($picture, { format => $format, quality => $option{quality} // $quality });
    my $bytes = $file->aspdl;
    return substr ${ $bytes->get_dataref }, 0, $file->size;
}

# The end of the name tells the kind of file.
sub imwrite
{
    my ($class, $name, $picture, %option) = @_;
    my ($kind) = $name =~ /(\.\w+)\z/;
    my $bytes = $class->imencode($picture, img_fmt => $kind // '', %option);
    open my $out, '>:raw', $name or AI::MXNet::Keshi::fail("imwrite: cannot write $name: $!");
    print {$out} $bytes;
    close $out or AI::MXNet::Keshi::fail("imwrite: cannot write $name: $!");
    return;
}

sub imresize
{
    my ($class, $src, $width, $height, $interp) = @_;
    return AI::MXNet::NDArray->_cvimresize($src, { w => $width, h => $height, interp => $interp // 2 });
}

sub resize_short
{
    my ($class, $src, $size, $interp) = @_;
    my ($height, $width) = @{ $src->shape };
    my @to = $height > $width ? ($size, int($size * $height / $width)) : (int($size * $width / $height), $size);
    return $class->imresize($src, @to, $interp);
}

# The size, made smaller with the same ratio if it does not fit.
sub scale_down
{
    my ($class, $within, $size) = @_;
    AI::MXNet::Keshi::fail('a size got ' . ($size // 'undef') . ', want [width, height]') if ref $size ne 'ARRAY';
    my ($width, $height) = @$size;
    ($width, $height) = ($width * $within->[1] / $height, $within->[1]) if $within->[1] < $height;
    ($width, $height) = ($within->[0], $height * $within->[0] / $width) if $within->[0] < $width;
    return (int $width, int $height);
}

sub fixed_crop
{
    my ($class, $src, $x, $y, $width, $height, $size, $interp) = @_;
    my $part = AI::MXNet::NDArray->_image_crop($src, { x => $x, y => $y, width => $width, height => $height });
    return $part if not defined $size or $size->[0] == $width and $size->[1] == $height;
    return $class->imresize($part, @$size, $interp);
}

sub _crop_at
{
    my ($class, $src, $size, $interp, $place) = @_;
    my ($height, $width) = @{ $src->shape };
    my ($w, $h) = $class->scale_down([$width, $height], $size);
    my @box = ($place->($width - $w), $place->($height - $h), $w, $h);
    return ($class->fixed_crop($src, @box, $size, $interp), \@box);
}

sub random_crop
{
    my ($class, $src, $size, $interp) = @_;
    return $class->_crop_at($src, $size, $interp, sub { int rand($_[0] + 1) });
}

sub center_crop
{
    my ($class, $src, $size, $interp) = @_;
    return $class->_crop_at($src, $size, $interp, sub { int($_[0] / 2) });
}

# A part of a random area, at least that share of the whole, with sides of a random ratio.
sub random_size_crop
{
    my ($class, $src, $size, $min_area, $ratio, $interp) = @_;
    my ($height, $width) = @{ $src->shape };
    my $sides = $ratio->[0] + rand($ratio->[1] - $ratio->[0]);
    my $most = $sides * $height > $width ? $width * int($width / $sides) : $height * int($height * $sides);
    my $least = $min_area * $height * $width;
    return $class->random_crop($src, $size, $interp) if $most < $least;
    my $area = $least + rand($most - $least);
    my ($w, $h) = map { int sqrt } $area * $sides, $area / $sides;
    my @box = (int rand($width - $w + 1), int rand($height - $h + 1), $w, $h);
    return ($class->fixed_crop($src, @box, $size, $interp), \@box);
}

# In place.
sub color_normalize
{
    my ($class, $src, $mean, $std) = @_;
    my $number = sub {
        return ref $_[0] eq 'ARRAY' || blessed $_[0] && $_[0]->isa('PDL') ? AI::MXNet::NDArray->array($_[0]) : $_[0];
    };
    $src -= $number->($mean);
    $src /= $number->($std) if defined $std;
    return $src;
}

1;

__END__

=head1 NAME

AI::MXNet::Image - pictures: decoding, resizing, cropping, changing

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $pixels = nd->array([[[0], [255]]], dtype => 'uint8');          # height, width, channel
    print nd->image->to_tensor($pixels)->aspdl;

    my $picture = nd->ones([40, 60, 3], dtype => 'uint8') * 100;
    my ($crop, $box) = mx->image->center_crop(mx->image->resize_short($picture, 20), [16, 16]);
    print "@{ $crop->shape }, from @$box\n";                           # 16 16 3, from 7 2 16 16
    my $again = mx->image->imdecode(mx->image->imencode($crop, img_fmt => '.png'));
    my $changed = [$crop];
    for my $change (@{ mx->image->CreateAugmenter(data_shape => [3, 8, 8], rand_crop => 1, rand_mirror => 1) }) {
        $changed = [map { @{ $change->($_) } } @$changed];
    }

=head1 DESCRIPTION

C<< nd->image->name(...) >> and C<< mx->image->nd->name(...) >> call the operator C<_image_name>, as described in
L<AI::MXNet::NDArray::Base>.

Pictures are arrays of height, width and channel. Sizes are C<[width, height]>. Interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4
Lanczos.

=over 4

=item imread($file, flag => 1, to_rgb => 1), imdecode($bytes, ...)

A JPEG or PNG picture as uint8, grey with C<flag> 0.

=item imencode($picture, img_fmt => '.png', quality =>), imwrite($file, $picture, quality =>)

The bytes of a file, or the file, JPEG or PNG by the end of its name: C<quality> is 1 to 100 for JPEG (95), 0 to 9 for PNG (3), where
more is smaller.

=item imresize($src, $width, $height, $interp = 2), resize_short($src, $size, $interp = 2)

=item fixed_crop($src, $x, $y, $width, $height, $size, $interp = 2)

=item random_crop($src, $size, $interp), center_crop($src, $size, $interp), random_size_crop($src, $size, $min_area, $ratio, $interp)

The crop, resized if the picture is smaller, and the box C<[x, y, width, height]> that it was.

=item scale_down(\@within, \@size), color_normalize($src, $mean, $std)

The second changes C<$src>.

=item ResizeAug, RandomCropAug, RandomSizedCropAug, CenterCropAug, RandomOrderAug, ColorJitterAug, LightingAug, ColorNormalizeAug,
HorizontalFlipAug, CastAug, CreateAugmenter(...)

Subs that change a picture: L<AI::MXNet::Image::Augment>.

=item ImageIter(...)

Batches of pictures from files: L<AI::MXNet::ImageIter>.

=back

=cut
