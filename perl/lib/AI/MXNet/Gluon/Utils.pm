package AI::MXNet::Gluon::Utils;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Function::Parameters;
use AI::MXNet::NDArray;
use Digest::SHA ();
use Exporter qw(import);
use File::Basename ();
use File::Path ();
use Scalar::Util qw(blessed);

# Batches for several contexts, gradients of bounded length, files from the net.

our @EXPORT_OK = qw(download check_sha1);

sub _fail { return AI::MXNet::Keshi::fail(@_) }

method split_data(AI::MXNet::NDArray $data, Int $num_slice, Int $batch_axis= 0, Bool : $even_split = 1) {
    my $shape = $data->shape;
    my $size = $shape->[$batch_axis]
        // _fail("split_data: axis $batch_axis of data with shape (@{[join ',', @$shape]})");
    _fail(    'Too many slices for data with shape ('
            . join(',', @$shape)
            . "). Arguments are num_slice=$num_slice and batch_axis=$batch_axis.")
        if $size < $num_slice;
    _fail(    'data with shape '
            . join(',', @$shape)
            . " cannot be evenly split into $num_slice slices along axis $batch_axis. "
            . "Use a batch size that's multiple of $num_slice or set even_split=>0 to allow uneven partitioning of data."
        )
        if $even_split
        and $size % $num_slice;
    my $step = int($size / $num_slice);
    my @slices = map {
        my ($begin, $end) = ($_ * $step, $_ < $num_slice - 1 ? ($_ + 1) * $step : $size);
        $batch_axis == 0
            ? $data->slice([$begin, $end - 1])
            : $data->slice_axis(axis => $batch_axis, begin => $begin, end => $end)
    } 0 .. $num_slice - 1;
    return \@slices;
}

method split_and_load($data, ArrayRef [AI::MXNet::Context] : $ctx_list, Int : $batch_axis = 0, Bool : $even_split = 1) {
    $data = AI::MXNet::NDArray->array($data, ctx => $ctx_list->[0])
        if not blessed($data)
        or not $data->isa('AI::MXNet::NDArray');
    return [$data->as_in_context($ctx_list->[0])] if @$ctx_list == 1;
    my $slices = $self->split_data($data, scalar @$ctx_list, $batch_axis, even_split => $even_split);
    return [map { $slices->[$_]->as_in_context($ctx_list->[$_]) } 0 .. $#$slices];
}

method clip_global_norm(ArrayRef [AI::MXNet::NDArray] $arrays, Num $max_norm) {
    _fail('clip_global_norm: no arrays given') if not @$arrays;
    my $sum = 0;
    for my $array (@$arrays) {
        my $flat = ($array->stype eq 'default' ? $array : $array->data)->reshape([-1]);
        $sum += AI::MXNet::NDArray->dot($flat, $flat)->asscalar;
    }
    my $norm = sqrt $sum;
    warn "nan or inf is detected. Clipping results will be undefined.\n" if $norm - $norm != 0;
    my $scale = $max_norm / ($norm + 1e-8);
    if ($scale < 1) { $_ *= $scale for @$arrays }
    return $norm;
}

# Whether the file has that checksum. A function, and a method too.
sub check_sha1
{
    my ($file, $wanted) = @_[-2, -1];
    open my $in, '<:raw', $file or _fail("check_sha1: cannot read $file: $!");
    return lc(Digest::SHA->new(1)->addfile($in)->hexdigest) eq lc $wanted ? 1 : 0;
}

# Fetches a file unless it is there; returns its name. `path` is where to put it, or in which folder.
sub download
{
    my ($class, @args) = @_ % 2 ? (undef, @_) : @_;
    my ($url, %arg) = @args;
    for my $name (keys %arg) {
        _fail("download: no such named argument '$name', want path, overwrite or sha1_hash")
            if $name !~ /^(?:path|overwrite|sha1_hash)$/;
    }
    my ($name) = $url =~ m{([^/]+)$} or _fail("download: $url names no file");
    my $file = $arg{path} // $name;
    $file =~ s{^~}{$ENV{HOME} // '.'}e;
    $file = "$file/$name" if -d $file;
    my $sha1 = $arg{sha1_hash};
    return $file if not $arg{overwrite} and -f $file and (not $sha1 or check_sha1($file, $sha1));
    File::Path::make_path(File::Basename::dirname($file));
    require HTTP::Tiny;
    my $response = HTTP::Tiny->new(verify_SSL => 1)->mirror($url, "$file.part");

    if (not $response->{success}) {
        unlink "$file.part";
        my $why = $response->{status} == 599 ? $response->{content} : "$response->{status} $response->{reason}";
        $why =~ s/\s+\z//;
        _fail("Failed downloading url $url: $why. Where there is no network, put the file at $file yourself");
    }
    if ($sha1 and not check_sha1("$file.part", $sha1)) {
        unlink "$file.part";
        _fail(    "File $file is downloaded from $url but the content hash does not match, want $sha1. "
                . 'The repo may be outdated or download may be incomplete');
    }
    rename "$file.part", $file or _fail("download: cannot write $file: $!");
    return $file;
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Utils - batches for several contexts, gradients of bounded length, files

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $batch = nd->arange(stop => 12)->reshape([4, 3]);
    my $parts = gluon->utils->split_and_load($batch, ctx_list => [mx->cpu(0), mx->cpu(1)]);
    print "$_\n" for @$parts;
    my @gradients = (nd->ones([3]), nd->ones([4]));
    printf "%.3f\n", gluon->utils->clip_global_norm(\@gradients, 1);

=head1 DESCRIPTION

=over 4

=item split_data($array, $num_slice, $batch_axis = 0, even_split => 1)

A list of slices; with C<even_split =E<gt> 0> the last takes what is left over.

=item split_and_load($array, ctx_list => \@contexts, batch_axis => 0, even_split => 1)

The same, a slice on each context.

=item clip_global_norm(\@arrays, $max_norm)

Scales all arrays in place, so that the length of them all taken together is at most C<$max_norm>; returns what it was.

=item download($url, path =>, overwrite => 0, sha1_hash =>), check_sha1($file, $sha1)

Exported on request. A file that is there with that checksum is not fetched again.

=back

=cut
