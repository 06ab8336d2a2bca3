package AI::MXNet::Gluon::Data::Vision::Transforms;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::Gluon::NN;

# Blocks that change pictures, which are height, width, channel as data sets give them, each by one operator of nd->image.

package AI::MXNet::Gluon::Data::Vision::Transforms::Compose;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::NN::Sequential';
has transforms => (is => 'ro', isa => 'ArrayRef', required => 1);
sub python_constructor_arguments { return [qw(transforms)] }
sub BUILD { my $self = shift; $self->add(@{ $self->transforms }); return }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::Cast;       ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has dtype => (is => 'ro', isa => 'Dtype', default => 'float32');
sub python_constructor_arguments { return [qw(dtype)] }
sub hybrid_forward { my ($self, $F, $x) = @_; return $F->Cast($x, { dtype => $self->dtype }) }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::ToTensor;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
sub hybrid_forward { my ($self, $F, $x) = @_; return $F->_image_to_tensor($x) }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::Normalize;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has mean => (is => 'ro', isa => 'Num|ArrayRef[Num]', default => 0);
has std => (is => 'ro', isa => 'Num|ArrayRef[Num]', default => 1);
sub python_constructor_arguments { return [qw(mean std)] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->_image_normalize($x, { map { ($_ => ref $self->$_ ? $self->$_ : [$self->$_]) } qw(mean std) });
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::Resize;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has size => (is => 'ro', isa => 'Int|ArrayRef[Int]', required => 1);
has keep_ratio => (is => 'ro', isa => 'Bool', default => 0);
has interpolation => (is => 'ro', isa => 'Int', default => 1);
sub python_constructor_arguments { return [qw(size keep_ratio interpolation)] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my %with = (size => $self->size, keep_ratio => $self->keep_ratio ? 1 : 0, interp => $self->interpolation);
    return $F->_image_resize($x, \%with);
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

# -- crops, which need the size of the picture: for arrays only

package AI::MXNet::Gluon::Data::Vision::Transforms::Crop;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Block';
has size => (is => 'ro', isa => 'Int|ArrayRef[Int]', required => 1);
has interpolation => (is => 'ro', isa => 'Int', default => 1);

sub _size { my $size = $_[0]->size; return ref $size ? @$size : ($size, $size) }

# A part of the picture, resized if it has another size.
sub _crop
{
    my ($self, $x, $left, $top, $width, $height) = @_;
    my $part = AI::MXNet::NDArray->_image_crop($x, { x => $left, y => $top, width => $width, height => $height });
    my ($want_width, $want_height) = $self->_size;
    return $part if $width == $want_width and $height == $want_height;
    return AI::MXNet::NDArray->_image_resize($part,
        { size => [$want_width, $want_height], interp => $self->interpolation });
}

package AI::MXNet::Gluon::Data::Vision::Transforms::CenterCrop;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use List::Util qw(min);
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Crop';
sub python_constructor_arguments { return [qw(size interpolation)] }

sub forward
{
    my ($self, $x) = @_;
    my ($height, $width) = @{ $x->shape }[-3, -2];
    my ($want_width, $want_height) = $self->_size;
    my $scale = min(1, $width / $want_width, $height / $want_height);
    my ($w, $h) = map { int($_ * $scale + 1e-9) || 1 } $want_width, $want_height;
    return $self->_crop($x, int(($width - $w) / 2), int(($height - $h) / 2), $w, $h);
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomResizedCrop;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Crop';
has scale => (is => 'ro', isa => 'ArrayRef[Num]', default => sub { [0.08, 1] });
has ratio => (is => 'ro', isa => 'ArrayRef[Num]', default => sub { [3 / 4, 4 / 3] });
sub python_constructor_arguments { return [qw(size scale ratio interpolation)] }

# A part of the area with sides of a ratio, both drawn; the whole picture where ten draws do not fit.
sub forward
{
    my ($self, $x) = @_;
    my ($height, $width) = @{ $x->shape }[-3, -2];
    my ($least, $most, @log) = (@{ $self->scale }, map { log } @{ $self->ratio });
    for (1 .. 10) {
        my $area = $height * $width * ($least + rand($most - $least));
        my $ratio = exp($log[0] + rand($log[1] - $log[0]));
        my ($w, $h) = map { int(sqrt($_) + 0.5) } $area * $ratio, $area / $ratio;
        next if $w < 1 or $h < 1 or $w > $width or $h > $height;
        return $self->_crop($x, int rand($width - $w + 1), int rand($height - $h + 1), $w, $h);
    }
    return $self->_crop($x, 0, 0, $width, $height);
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

# -- chance

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomFlipLeftRight;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
sub hybrid_forward { my ($self, $F, $x) = @_; return $F->_image_random_flip_left_right($x) }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomFlipTopBottom;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
sub hybrid_forward { my ($self, $F, $x) = @_; return $F->_image_random_flip_top_bottom($x) }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

# A factor between 1 - x and 1 + x; hue between -x and x.
package AI::MXNet::Gluon::Data::Vision::Transforms::Factor;                 ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has factor => (is => 'ro', isa => 'Num', required => 1);
sub python_constructor_arguments { return [qw(factor)] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my ($operator) = lc(ref $self) =~ /random(\w+)\z/;
    $operator = "_image_random_$operator";
    my $least = 1 - $self->factor;
    return $F->$operator($x, { min_factor => $least > 0 ? $least : 0, max_factor => 1 + $self->factor });
}

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomBrightness;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Factor';
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomContrast;      ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Factor';
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomSaturation;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Factor';
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomHue;           ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Transforms::Factor';
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomColorJitter;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has [qw(brightness contrast saturation hue)] => (is => 'ro', isa => 'Num', default => 0);
sub python_constructor_arguments { return [qw(brightness contrast saturation hue)] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->_image_random_color_jitter($x, { map { ($_ => $self->$_) } @{ python_constructor_arguments() } });
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

package AI::MXNet::Gluon::Data::Vision::Transforms::RandomLighting;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
has alpha => (is => 'ro', isa => 'Num', default => 0.05);
sub python_constructor_arguments { return [qw(alpha)] }
sub hybrid_forward { my ($self, $F, $x) = @_; return $F->_image_random_lighting($x, { alpha_std => $self->alpha }) }
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision::Transforms');

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Vision::Transforms - blocks that change pictures

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $t = gluon->data->vision->transforms;
    my $change = $t->Compose([$t->Resize(8), $t->ToTensor, $t->Normalize(0.5, 0.25)]);
    my $picture = nd->ones([10, 12, 3], dtype => 'uint8') * 100;
    print "@{ $change->($picture)->shape }\n";                 # 3 8 8
    my $set = gluon->data->SimpleDataset([[$picture, 1]])->transform_first($change);

=head1 DESCRIPTION

    Compose(\@transforms)     Cast($dtype = 'float32')     ToTensor()     Normalize($mean = 0, $std = 1)
    Resize($size, $keep_ratio = 0, $interpolation = 1)     CenterCrop($size, $interpolation = 1)
    RandomResizedCrop($size, $scale = [0.08, 1], $ratio = [3/4, 4/3], $interpolation = 1)
    RandomFlipLeftRight()     RandomFlipTopBottom()
    RandomBrightness($x)      RandomContrast($x)           RandomSaturation($x)      RandomHue($x)
    RandomColorJitter($brightness, $contrast, $saturation, $hue)                     RandomLighting($alpha = 0.05)

Sizes are a number or C<[width, height]>. C<ToTensor> makes float32 of 0 to 1, channels first, which C<Normalize> wants; the others
take pictures as they come from a data set. C<RandomResizedCrop> draws with Perl's C<rand>, the others with C<< mx->random >>.

=cut
