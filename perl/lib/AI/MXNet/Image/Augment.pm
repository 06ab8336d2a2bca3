package AI::MXNet::Image::Augment;
use 5.014;
use strict;
use List::Util ();
use warnings;

# Changes of pictures. Each is a sub from a picture to a list with one.

package AI::MXNet::Image;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Keshi;
use List::Util ();

sub ResizeAug
{
    my ($class, @how) = @_;
    return sub { return [$class->resize_short($_[0], @how)] }
}

sub RandomCropAug
{
    my ($class, @how) = @_;
    return sub { return [($class->random_crop($_[0], @how))[0]] }
}

sub RandomSizedCropAug
{
    my ($class, @how) = @_;
    return sub { return [($class->random_size_crop($_[0], @how))[0]] }
}

sub CenterCropAug
{
    my ($class, @how) = @_;
    return sub { return [($class->center_crop($_[0], @how))[0]] }
}

sub ColorNormalizeAug
{
    my ($class, @how) = @_;
    return sub { return [$class->color_normalize($_[0], @how)] }
}

sub CastAug
{
    my ($class, $dtype) = @_;
    return sub { return [$_[0]->astype($dtype // 'float32')] }
}

sub HorizontalFlipAug
{
    my ($class, $p) = @_;
    return sub { my $src = shift; return [rand() < $p ? AI::MXNet::NDArray->reverse($src, { axis => 1 }) : $src] };
}

sub RandomOrderAug
{
    my ($class, $changes) = @_;
    return sub {
        my $src = shift;
        for my $change (List::Util::shuffle(@$changes)) {
            my $changed = $change->($src);
            $src = ref $changed eq 'ARRAY' ? $changed->[0] : $changed;
        }
        return [$src];
    };
}

# How bright each pixel is.
sub _grey
{
    my $src = shift;
    my $weights = AI::MXNet::NDArray->array([[[0.299, 0.587, 0.114]]], dtype => $src->dtype);
    return AI::MXNet::NDArray->sum($src * $weights, { axis => 2, keepdims => 1 });
}

# In random order, in place: brightness, contrast, saturation by factors of up to 1 ± x.
sub ColorJitterAug
{
    my ($class, $brightness, $contrast, $saturation) = @_;
    my $factor = sub { return 1 - $_[0] + rand(2 * $_[0]) };
    my @changes;
    push @changes, sub { my $src = shift; $src *= $factor->($brightness); return [$src] }
        if $brightness;
    push @changes, sub {
        my $src = shift;
        my $alpha = $factor->($contrast);
        my $mean = _grey($src)->mean->asscalar;
        $src *= $alpha;
        $src += (1 - $alpha) * $mean;
        return [$src];
        }
        if $contrast;
    push @changes, sub {
        my $src = shift;
        my $alpha = $factor->($saturation);
        my $grey = _grey($src);
        $src *= $alpha;
        $src += $grey * (1 - $alpha);
        return [$src];
        }
        if $saturation;
    return $class->RandomOrderAug(\@changes);
}

# Adds a random colour along the principal axes of colours.
sub LightingAug
{
    my ($class, $deviation, $eigval, $eigvec) = @_;
    my ($values, $vectors) = map { AI::MXNet::NDArray->array($_) } $eigval, $eigvec;
    return sub {
        my $src = shift;
        my $alpha = AI::MXNet::Random->normal(0, $deviation, [3]);
        my $colour = AI::MXNet::NDArray->dot($vectors, ($alpha * $values)->reshape([3, 1]))->reshape([1, 1, 3]);
        $src += $colour;
        return [$src];
    };
}

my %default = (
    resize => 0,
    (map { ($_ => 0) } qw(rand_crop rand_resize rand_mirror brightness contrast saturation pca_noise)),
    mean => undef,
    std => undef,
    inter_method => 2,
);
my @MEAN = (123.68, 116.28, 103.53);
my @STD = (58.395, 57.12, 57.375);
my @EIGVAL = (55.46, 4.794, 1.148);
my @EIGVEC = ([-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]);

# The colour of a light whose strengths along the axes are given.
sub _light
{
    my @strengths = @_;
    return map {
        my $axis = $_;
        List::Util::sum(map { $axis->[$_] * $strengths[$_] * $EIGVAL[$_] } 0 .. 2)
    } @EIGVEC;
}

# A list of changes.
sub CreateAugmenter
{
    my ($class, %given) = @_;
    my $shape = delete $given{data_shape} // AI::MXNet::Keshi::fail('CreateAugmenter: data_shape is missing');
    for my $name (keys %given) {
        AI::MXNet::Keshi::fail("CreateAugmenter: no such named argument '$name'") if not exists $default{$name};
    }
    my %with = (%default, %given);
    my @size = @{$shape}[2, 1];
    my $interp = $with{inter_method};
    my @changes;
    push @changes, $class->ResizeAug($with{resize}, $interp) if $with{resize};
    AI::MXNet::Keshi::fail('AssertionError: rand_resize needs rand_crop')
        if $with{rand_resize} and not $with{rand_crop};
    push @changes,
          $with{rand_resize} ? $class->RandomSizedCropAug(\@size, 0.3, [3 / 4, 4 / 3], $interp)
        : $with{rand_crop} ? $class->RandomCropAug(\@size, $interp)
        : $class->CenterCropAug(\@size, $interp);
    push @changes, $class->HorizontalFlipAug(0.5) if $with{rand_mirror};
    push @changes, $class->CastAug;
    push @changes, $class->ColorJitterAug(@with{qw(brightness contrast saturation)})
        if $with{brightness}
        or $with{contrast}
        or $with{saturation};
    push @changes, $class->LightingAug($with{pca_noise}, \@EIGVAL, \@EIGVEC) if $with{pca_noise} > 0;
    my $colours = sub { my ($what, $usual) = @_; return ref $what ? $what : $what ? $usual : undef };
    my ($mean, $std) = ($colours->($with{mean}, \@MEAN), $colours->($with{std}, \@STD));
    AI::MXNet::Keshi::fail('AssertionError: mean needs std') if defined $mean and not defined $std;
    push @changes, $class->ColorNormalizeAug($mean, $std) if defined $mean;
    return \@changes;
}

1;

__END__

=head1 NAME

AI::MXNet::Image::Augment - changes of pictures

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $flip = mx->image->HorizontalFlipAug(0.5);
    my ($picture) = @{ $flip->(nd->ones([4, 4, 3], dtype => 'uint8')) };
    my $changes = mx->image->CreateAugmenter(data_shape => [3, 2, 2], rand_crop => 1, brightness => 0.1, mean => 1, std => 1);

=head1 DESCRIPTION

Each of these returns a sub that takes a picture and returns a list with the changed one. Chance is that of Perl's C<rand>, but for
C<LightingAug>.

    ResizeAug($size, $interp)                      the shorter side
    RandomCropAug([$w, $h], $interp)               CenterCropAug([$w, $h], $interp)
    RandomSizedCropAug([$w, $h], $min_area, [$least_ratio, $greatest_ratio], $interp)
    HorizontalFlipAug($probability)                CastAug($dtype = 'float32')
    ColorJitterAug($brightness, $contrast, $saturation)          of float32, in place
    LightingAug($deviation, \@eigval, \@eigvec)                  of float32, in place
    ColorNormalizeAug($mean, $std)                               of float32, in place
    RandomOrderAug(\@changes)

C<CreateAugmenter(data_shape =E<gt> [3, $h, $w], ...)> returns a list of them in this order: C<resize>, C<rand_crop> and C<rand_resize> (else
the centre), C<rand_mirror>, a cast to float32, C<brightness>, C<contrast> and C<saturation>, C<pca_noise>, C<mean> with C<std>: lists, or 1 for
those of ImageNet. C<inter_method> is the interpolation.

=cut
